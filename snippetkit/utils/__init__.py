"""Errors, files, locks, progress bars, parallel work and devices for all other folders."""
