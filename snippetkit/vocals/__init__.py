"""Taking the music away: from the clips of a competition to what the features are computed from."""
