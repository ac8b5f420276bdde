/** Why work is cut off that the next run of the gateway does again: the reason of its signal. */
export const GATEWAY_STOPS: Error = new DOMException('the gateway stops', 'AbortError');
