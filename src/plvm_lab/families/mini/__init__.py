"""The mini family: every part from nothing, stage by stage."""
