"""The loops: frames in, answers out, for captures and for live interfaces."""
