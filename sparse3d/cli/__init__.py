"""The command line: `sparse3d reconstruct | render | evaluate | view | doctor`."""
