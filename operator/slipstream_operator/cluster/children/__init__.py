"""The objects an AgentDeployment owns: pure modules that return each object as server-side apply sends it."""
