"""What runs inside other people's workers and producers: it never raises, blocks, or grows without bound."""
