"""What is made of the events of a run."""
