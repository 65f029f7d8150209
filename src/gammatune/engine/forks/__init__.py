"""What a fork of a training holds, and how it leaves its process; no loop and no loader comes in."""
