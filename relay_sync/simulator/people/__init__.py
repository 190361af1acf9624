"""The simulated telephone network, the phones connected to it, and the messages it delivers."""
