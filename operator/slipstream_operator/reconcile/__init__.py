"""One reconcile for laptop and cluster: observe -> plan -> apply, of which only the plan is here, pure."""
