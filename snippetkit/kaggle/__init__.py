"""The four notebooks on Kaggle: built for the official client, sent with it, and fetched."""
