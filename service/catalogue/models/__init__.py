"""One file per model, each defining `MODEL`: adding a file here is all it takes to offer another."""
