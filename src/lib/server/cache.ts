/** A map that forgets what was unused longest once its weight passes a bound. */
export interface Cache<K, V> {
  readonly get: (key: K) => V | undefined;
  readonly set: (key: K, value: V) => void;
  readonly delete: (key: K) => void;
}

export function createCache<K, V>({ weightMax, weigh }: { readonly weightMax: number; readonly weigh: (value: V) => number }): Cache<K, V> {
  const values = new Map<K, V>();
  let weight = 0;

  function remove(key: K): void {
    const value = values.get(key);
    if (value !== undefined && values.delete(key)) weight -= weigh(value);
  }

  return {
    get(key) {
      const value = values.get(key);
      if (value !== undefined) {
        values.delete(key);
        values.set(key, value);
      }
      return value;
    },
    set(key, value) {
      remove(key);
      values.set(key, value);
      weight += weigh(value);
      for (const oldest of values.keys()) {
        if (weight <= weightMax || oldest === key) break;
        remove(oldest);
      }
    },
    delete: remove,
  };
}
