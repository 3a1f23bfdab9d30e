"""The rest of the family that people compare the kit with, built from its parts. The core never needs anything here."""
