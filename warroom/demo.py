"""Where platform and cloud meet: an instance of the simulated tenant's demo application."""

from warroom.azure.tenant import CLIENT_ID, CLIENT_SECRET, TENANT_ID
from warroom.xsoar.commandline import Args
from warroom.xsoar.instance import credentials, with_defaults

# The parameters by which an instance signs in.
IDENTITY = ("authentication_type", "client_id", "tenant_id", "client_secret")


def demo_instance(sign_in: str = "Client Credentials") -> Args:
    """The parameters of an instance that signs in to the simulated tenant this way."""
    client_id = credentials(CLIENT_ID)
    client_secret = credentials(CLIENT_SECRET)
    filled_in = {
        "authentication_type": sign_in,
        "client_id": client_id,
        "tenant_id": TENANT_ID,
        "client_secret": client_secret,
    }
    return with_defaults(filled_in)
