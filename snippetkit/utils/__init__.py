"""What every other folder builds on: errors, files, locks, progress, parallel work, devices."""
