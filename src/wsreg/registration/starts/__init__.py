"""Where a registration begins: each start is a function (problem, coarsest level) -> states."""
