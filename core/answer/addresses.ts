/** Whether a text holds the very same address, and not only as the beginning of a longer one. */
export const holdsAddress = (text: string, address: string): boolean => {
  for (let at = text.indexOf(address); at >= 0; at = text.indexOf(address, at + 1)) {
    if (!/[\p{L}\p{N}/?#=&%-]/u.test(text[at + address.length] ?? ' ')) return true;
  }
  return false;
};
