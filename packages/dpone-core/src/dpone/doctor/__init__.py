"""What is right and wrong on this machine and at the other end of its connections; each finding says what to do."""
