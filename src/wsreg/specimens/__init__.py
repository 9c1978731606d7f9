"""Virtual people: anatomy from a statistical shape model, tissue, and the CT of it."""
