"""Types of the parts of pystorm that wattstorm uses; pystorm ships none."""
