"""Loops of projects that are no packages, stated anew: the same work in the same order, as faithfully as we could.

Each names the repository and the file that it follows. They are here to be raced against, and import nothing of ours.
"""
