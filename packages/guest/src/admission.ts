import { GuestError } from './guestError.ts';

/** Requests of one guest that are being read or answered. */
export const maxGuestRequestsAtOnce = 16;
/** Requests that one guest may make: at once, and then each second. */
export const guestRequestRate = { burst: 200, perSecond: 50 } as const;

/** Lets a request in; `done` makes its room free again. Throws GUEST_BUSY where there is none. */
export type Admission = () => { readonly done: () => void };

/** A bucket that fills by the clock, and so many places.
 * @param clockMs never goes back
 */
export function admission(clockMs: () => number): Admission {
  const { burst, perSecond } = guestRequestRate;
  let atOnce = 0;
  let tokens: number = burst;
  let filledAtMs = clockMs();
  return () => {
    const now = clockMs();
    tokens = Math.min(burst, tokens + ((now - filledAtMs) / 1_000) * perSecond);
    filledAtMs = now;
    if (atOnce >= maxGuestRequestsAtOnce || tokens < 1)
      throw new GuestError(
        'GUEST_BUSY',
        `"${atOnce}" requests of the app wait, and it may make "${perSecond}" a second`,
        'Ask again in a second',
      );
    tokens -= 1;
    atOnce += 1;
    let isDone = false;
    return {
      done: () => {
        if (!isDone) atOnce -= 1;
        isDone = true;
      },
    };
  };
}
