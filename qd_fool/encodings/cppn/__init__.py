"""Pictures drawn by evolved graphs of functions (CPPNs)."""
