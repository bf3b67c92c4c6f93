"""The network that follows a capsule along the neck: what it learns from, how it learns, and how it joins a file."""
