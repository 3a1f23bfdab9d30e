"""Other systems for music that the kit is compared with, built from its parts. The core does not need them."""
