import { certificatesFromPem } from '../pki/x509.ts';

/**
 * How others reach a server that listens at `host` and shows this certificate: by the same host where the certificate is for it, else by
 * the first name in the certificate. What is not in the certificate nobody could connect to, least of all `0.0.0.0`.
 */
export function publicHost(certPem: string, host: string): string {
  const [own] = certificatesFromPem(certPem);
  const { dnsNames = [], ipAddresses = [] } = own ?? {};
  if (dnsNames.includes(host) || ipAddresses.includes(host)) return host;
  const names = dnsNames.filter((name) => !name.startsWith('*'));
  return names[0] ?? ipAddresses[0] ?? host;
}
