"""An authority of a test's own: certificates for hosts and for clients, and what it takes back."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM


def day(offset):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=offset)


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        signs = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = (self._builder(name, self.key.public_key(), -1, 365)
                            .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
                            .add_extension(signs, True)
                            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
                            .sign(self.key, hashes.SHA256()))
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(PEM))

    def _builder(self, subject, key, since, until):
        return (x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(self.name)).public_key(key)
                .serial_number(x509.random_serial_number()).not_valid_before(day(since)).not_valid_after(day(until)))

    def issue(self, subject, hosts=(), usage=ExtendedKeyUsageOID.CLIENT_AUTH, since=-1, until=90):
        """Files with a certificate and its key, and the serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (self._builder(subject, key.public_key(), since, until)
                   .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
                   .add_extension(x509.ExtendedKeyUsage([usage]), False))
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False)
        certificate = builder.sign(self.key, hashes.SHA256())
        files = self.folder / f"{subject}.pem", self.folder / f"{subject}.key"
        files[0].write_bytes(certificate.public_bytes(PEM))
        files[1].touch(0o600)
        files[1].write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return *files, certificate.serial_number

    def take_back(self, *serials, until=7):
        """The file of the authority's list."""
        builder = (x509.CertificateRevocationListBuilder().issuer_name(named(self.name))
                   .last_update(day(-2)).next_update(day(until))
                   .add_extension(x509.CRLNumber(1), False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False))
        for serial in serials:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(day(-1)).build())
        file = self.folder / f"{self.name}.crl"
        file.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(PEM))
        return file
