"""What fits models: R, pygam, statsmodels. No worker imports this; a test proves it."""
