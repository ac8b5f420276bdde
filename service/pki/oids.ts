/** Object identifiers of what we read and write. */
export const OID = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  issuerAltName: '2.5.29.18',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  nameConstraints: '2.5.29.30',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  noRevAvail: '2.5.29.56',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  proxyCertInfo: '1.3.6.1.5.5.7.1.14',
  inheritAll: '1.3.6.1.5.5.7.21.1',
  independent: '1.3.6.1.5.5.7.21.2',
  /** Globus: may move data, not start jobs. */
  limited: '1.3.6.1.4.1.3536.1.1.1.9',
  /** VOMS (GFD.182): attribute certificates in a proxy, FQANs and signer's certificates in an AC. */
  vomsAcs: '1.3.6.1.4.1.8005.100.100.5',
  vomsFqans: '1.3.6.1.4.1.8005.100.100.4',
  vomsCerts: '1.3.6.1.4.1.8005.100.100.10',
} as const;
