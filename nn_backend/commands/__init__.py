"""What `python -m nn_backend COMMAND` runs, a module for each command."""
