"""What upstream offered, what we hold, how far we are. `base` is the port, `sqlite` fills it."""
