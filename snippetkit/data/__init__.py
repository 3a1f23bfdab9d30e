"""The competition's files and labels, the submission, and a synthetic competition to try everything on."""
