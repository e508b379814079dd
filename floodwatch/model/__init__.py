"""The data that cross from room to room, and out of the program: records only."""
