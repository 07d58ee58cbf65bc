"""Record a function of arrays, print it as a program and as machine code, and run it: see trace.py first."""
