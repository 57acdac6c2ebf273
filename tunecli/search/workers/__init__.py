"""The processes that train, and what they and the driver say to each other."""
