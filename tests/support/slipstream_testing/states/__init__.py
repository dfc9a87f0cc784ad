"""The operator's real code in a made-up cluster and in virtual time, and what must hold there whatever happens."""
