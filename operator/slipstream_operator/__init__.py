"""The controller and the command line: it decides and acts, and never touches a tensor."""
