"""Pure functions of arrays: how media carries over and saturates, how a year swings.

Each file holds the functions, the small record that names them in a Spec, and a registry
of its records. To add one: write the function and its record (`kind`, `parameters`,
`__call__(media, params)`) and list it in the registry; the tests of the registry cover it.
"""
