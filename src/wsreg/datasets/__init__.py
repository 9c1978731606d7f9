"""X-rays with known poses: DeepFluoro's file layout, read, written and checked."""
