"""The processes that train, and the messages between them and the driver."""
