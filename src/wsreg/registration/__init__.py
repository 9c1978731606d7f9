"""From a radiograph, a CT and a start to a pose with a verdict."""
