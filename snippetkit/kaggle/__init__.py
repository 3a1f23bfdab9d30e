"""The four notebooks on Kaggle: built for the official client, sent by it, and fetched again."""
