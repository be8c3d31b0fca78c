"""Verification: the plan, the shadow read, the comparison, settling and the verdict. Nothing here delays a client."""
