"""Training, commands and files under fault: kills, full disks, damaged and hostile input."""
