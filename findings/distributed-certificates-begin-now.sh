#!/usr/bin/env bash
# Security.temporary() of distributed makes a certificate that is valid from the very second it is made: a worker whose clock
# is behind the scheduler's by more than the start-up takes refuses it as not valid yet.
# What to do: make certificates oneself, valid from an hour before, where nodes keep their own clocks.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'distributed==2026.8.0' 'cryptography==50.0.2'
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import datetime
import sys

import distributed
from cryptography import x509

security = distributed.Security.temporary()
now = datetime.datetime.now(datetime.UTC)
certificate = x509.load_pem_x509_certificate(security.tls_client_cert.encode())
since = (now - certificate.not_valid_before_utc).total_seconds()
print(f"distributed {distributed.__version__}: a temporary certificate is valid since {since:.1f} s, no allowance for clock skew")
sys.exit(not 0 <= since < 5)
PYTHON
