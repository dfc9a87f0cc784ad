"""The AgentDeployment API: schema, parsed spec, conditions and status, all pure."""
