"""Opens the model that was fetched, in a confined process, and refuses what is not safe to build from."""
