"""How the war room looks and listens on a terminal."""
