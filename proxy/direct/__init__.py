"""Reading a store directly, the pure part: parameters, statements, shapes and values. No I/O."""
