"""The control interface, which lets programs in any language control a simulator over HTTP."""
