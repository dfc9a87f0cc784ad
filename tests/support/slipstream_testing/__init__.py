"""What the test suites share: a real control plane, a stand-in for the kubelet, and bounded waiting."""
